-- Removes the ready and scheduled tasks of a queue, a bounded part a call. The end of a member may release a body into
-- the queue: while something was removed, the records are gone through once more. Groups' unclaimed rows come last, and
-- a body that their end releases stays. In: queue, step, place, how many this round has removed. Steps 0 to 9: the
-- records of ready lines; 10: of held back lines; 11: of the scheduled order; 12 to 21, 22, 23: groups there.
-- Keys: r:<queue>:<priority>, hq:, hb:, d, those of settle.
-- Answer: {how many, next step or -1, next place, how many this round has removed}.
--#include drain
--#include revoking
local queue, step, place, round = arg(), number(), number(), number()
local q = queue_number(queue)
local n = 0
local function is_group(entry) return #entry == 17 and string.byte(entry) == 103 end
-- What follows an end is never purged.
local function follows(entry)
  if string.sub(entry, 2, 7) ~= 'after:' then return false end
  local r = load(entry)
  return r and r.f.A
end

local function purge_record(id, state)
  local r = load(id)
  if not r or r.q ~= q or r.state ~= state or r.f.A then return false end
  unplace(r)
  flag(r, LEFT, false)
  flag(r, HELD, false)
  end_by_store(r, '6', 'revoked', nil)
  write(r)
  if not (r.group and group(r.group)) then
    r.flags = 0
    remove(r)
  end
  n = n + 1
  return true
end
local function purge_group(entry, ready)
  local G = group(string.sub(entry, 2))
  if not G or G.q ~= q or ready == (G.P ~= nil) then return false end
  n = n + cancel_rows(G)
  finish_if_ended(G)
  return true
end

-- The groups and follow-ups that a page of a line holds stay at its head: `place` is how many there are.
local function records_of_line(key)
  local entries = call('LRANGE', key, place, place + 199)
  if not entries[1] then return true end
  local kept = call('LRANGE', key, 0, place - 1)
  if place == 0 then kept = {} end
  for _, entry in ipairs(entries) do
    if is_group(entry) or follows(entry) then kept[#kept + 1] = entry end
  end
  call('LPOP', key, place + #entries)
  for i = #kept, 1, -1 do call('LPUSH', key, kept[i]) end
  place = #kept
  for _, entry in ipairs(entries) do
    if not is_group(entry) then purge_record(entry, 'r') end
  end
  return false
end
local function groups_of_line(key)
  local entries = call('LRANGE', key, place, place + 199)
  for _, entry in ipairs(entries) do
    if is_group(entry) and purge_group(entry, true) then return false end
  end
  place = place + #entries
  return #entries < 200
end
-- One page of what is held back that has something to remove; groups stay in its place.
local function held(of_groups)
  for _, item in ipairs(call('ZRANGE', P .. 'hq:' .. queue, 0, -1)) do
    local key, from = P .. 'hb:' .. queue .. ':' .. item, 0
    while true do
      local entries = call('LRANGE', key, from, from + 199)
      if not entries[1] then break end
      local kept = {}
      for _, entry in ipairs(entries) do
        if is_group(entry) then
          kept[#kept + 1] = entry
          if of_groups and purge_group(entry, true) then return false end
        end
      end
      if not of_groups and #kept < #entries then
        for i, entry in ipairs(from > 0 and call('LRANGE', key, 0, from - 1) or {}) do table.insert(kept, i, entry) end
        call('LPOP', key, from + #entries)
        for i = #kept, 1, -1 do call('LPUSH', key, kept[i]) end
        for _, entry in ipairs(entries) do
          if not is_group(entry) then purge_record(entry, 'r') end
        end
        return false
      end
      from = from + #entries
    end
  end
  return true
end
local function scheduled(of_groups)
  local entries = call('ZRANGE', P .. 'd', place, place + 199)
  for _, entry in ipairs(entries) do
    local gone_now
    if of_groups then
      gone_now = is_group(entry) and purge_group(entry, false)
    else
      gone_now = not is_group(entry) and purge_record(entry, '1')
    end
    if not gone_now then place = place + 1 end
  end
  return #entries < 200
end

put_off = {}
local over = true
while over and step <= 23 do
  if step < 10 then
    over = records_of_line(line(queue, int(step)))
  elseif step == 10 or step == 22 then
    over = held(step == 22)
  elseif step == 11 or step == 23 then
    over = scheduled(step == 23)
  else
    over = groups_of_line(line(queue, int(step - 12)))
  end
  if over and step == 11 and round + n > 0 then
    step, place, round = 0, 0, -n
  elseif over then
    step, place = step + 1, 0
  end
end
put_in_front(put_off)
for _, item in ipairs(put_off) do
  if item[2] == queue and int(step) == item[3] then place = place + 1 end
end
total('purged', n)
save_groups()
close_books()
return { n, step > 23 and -1 or step, place, round + n }
