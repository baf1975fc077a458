-- Removes the ready and scheduled tasks of a queue, up to 200 a call. In: queue, priority to begin with (10: the scheduled
-- ones), place in scheduled order. Keys: r:<queue>:<priority>, d, those of settle. Answer: {how many, next priority or -1,
-- next place}.
--#include drain
--#include revoking
local queue, priority, place = arg(), number(), number()
local q = queue_number(queue)
local n, looked = 0, 0
local function purge_entry(entry, state)
  if #entry == 17 and string.byte(entry) == 103 then
    local G = group(string.sub(entry, 2))
    if G and G.q == q and (state == 'r') == not G.d then
      n = n + cancel_rows(G)
      finish_if_ended(G)
      return true
    end
    return false
  end
  local r = load(entry)
  if not r or r.q ~= q or r.state ~= state then return false end
  unplace(r)
  flag(r, LEFT, false)
  finish(r, '6', 'revoked', nil)
  write(r)
  if not (r.group and group(r.group)) then
    r.flags = 0
    remove(r)
  end
  n = n + 1
  return true
end
while priority < 10 and looked < 200 do
  local entries = call('LRANGE', line(queue, int(priority)), 0, 199)
  if entries[1] then
    looked = looked + #entries
    call('LPOP', line(queue, int(priority)), #entries)
    for _, entry in ipairs(entries) do purge_entry(entry, 'r') end
  else
    priority = priority + 1
  end
end
if priority == 10 and looked < 200 then
  local entries = call('ZRANGE', P .. 'd', place, place + 499)
  for _, entry in ipairs(entries) do
    if not purge_entry(entry, '1') then place = place + 1 end
  end
  if #entries < 500 then priority = 11 end
end
total('purged', n)
save_groups()
tell_ranges()
close_books()
return { n, priority > 10 and -1 or priority, place }
