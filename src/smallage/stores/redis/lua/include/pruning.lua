--#include moves
-- Removal of what has outlived its retention, in bounded steps: `left` is what this call may still do.
local left = 500

-- The record of an ended member goes; its end went out of the totals with the group's.
local function sweep_record(raw, id)
  local r = load(id)
  if r and r.group == raw and ENDED[r.state] then
    r.keep = DAY
    remove(r)
    total(ENDED[r.state], 1)
  end
end
-- Chunks and records of removed groups: list `gz`, entries raw id, next chunk, number of chunks, kind.
local function sweep()
  while left > 0 do
    local entry = call('LINDEX', P .. 'gz', 0)
    if not entry then return end
    local raw = string.sub(entry, 1, 16)
    local next_chunk, chunks, unlike = string.match(string.sub(entry, 17), '^(%d+) (%d+) (%d)$')
    next_chunk, chunks = tonumber(next_chunk), tonumber(chunks)
    local key = P .. 'g:' .. raw
    while next_chunk < chunks and left > 0 do
      local rows = key .. ':a:' .. int(next_chunk)
      if unlike == '1' then
        for _, id in ipairs(call('HVALS', rows)) do
          sweep_record(raw, id)
          left = left - 1
        end
      end
      call('UNLINK', rows, key .. ':r:' .. int(next_chunk))
      next_chunk = next_chunk + 1
      left = left - 4
    end
    call('LPOP', P .. 'gz')
    if next_chunk < chunks then
      call('LPUSH', P .. 'gz', raw .. int(next_chunk) .. ' ' .. int(chunks) .. ' ' .. unlike)
      return
    end
    if unlike == '0' then
      for _, index in ipairs(call('SMEMBERS', key .. ':d')) do sweep_record(raw, 'm' .. raw .. index) end
      for _, id in ipairs(call('HVALS', key .. ':l')) do sweep_record(raw, id) end
      call('SREM', P .. 'gl', raw)
    end
    call('UNLINK', key .. ':d', key .. ':l')
  end
end
-- Takes an ended group away: at once for readers, its chunks in steps. Returns how many records went with it.
local function remove_group(G)
  call('UNLINK', G.key, G.key .. ':b')
  call('RPUSH', P .. 'gz', G.raw .. '0 ' .. int(math.ceil(G.T / 128)) .. ' ' .. (G.U and '1' or '0'))
  if G.U then call('SREM', P .. 'gu', G.raw) end
  total('done', -G.D)
  total('dead', -G.F)
  total('cancelled', -G.C)
  groups[G.raw] = false
  return G.U and G.T or G.F
end

local function prune_entry(entry)
  left = left - 1
  if #entry == 17 and string.byte(entry) == 103 then
    local G = group(string.sub(entry, 2))
    if not G then return true end
    if group_gone(G) then
      total('pruned', remove_group(G))
      return true
    end
    return G.e == 0 or (G.b and G.B == 0) or nil
  end
  local v = redis.pcall('HMGET', key_of(entry), 's', 'e', 't', 'i')
  if v.err or not v[1] or not ENDED[v[1]] then return true end
  if v[4] and group(string.sub(v[4], 1, 16)) then return true end -- came again as a member: it goes with its group
  if not life_over(v[1], tonumber(v[2] or nil) or 0, tonumber(v[3] or nil) or DAY) then return nil end
  remove(load(entry))
  total('pruned', 1)
  return true
end
-- From the head of a list, page by page, while all of a page is over. Entries stand in order but for clocks that went back
-- and mixed retentions, so a page is looked at to its end, and what is not over goes back. Returns false if `left` ran out.
local function prune_list(key, whole)
  while left > 0 do
    local entries = call('LRANGE', key, 0, 49)
    if not entries[1] then return true end
    local kept = {}
    for _, entry in ipairs(entries) do
      if not prune_entry(entry) and not whole then kept[#kept + 1] = entry end
    end
    if #kept < #entries then
      call('LPOP', key, #entries)
      for i = #kept, 1, -1 do call('LPUSH', key, kept[i]) end
    end
    if kept[1] then return true end
  end
  return false
end
-- Returns true if there is more to remove.
local function prune()
  local this_minute = math.floor(now / 60000000)
  while left > 0 do
    local first = call('ZRANGEBYSCORE', P .. 'f', '-inf', this_minute, 'LIMIT', 0, 1)[1]
    if not first then break end
    local key = P .. 'f:' .. first
    local whole = tonumber(first) < this_minute
    if not prune_list(key, whole) then return true end
    if not whole then break end
    call('ZREM', P .. 'f', first)
  end
  prune_list(P .. 'ts', false)
  -- Schedules removed a day ago, and revokes of tasks that never came.
  for _, name in ipairs(call('ZRANGEBYSCORE', P .. 'yx', '-inf', now - DAY, 'LIMIT', 0, 100)) do
    call('ZREM', P .. 'yx', name)
    call('UNLINK', P .. 'y:' .. name)
  end
  if left > 0 then
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'ra', '-inf', now - AHEAD, 'LIMIT', 0, left)) do
      call('ZREM', P .. 'ra', id)
      forget_ahead(id)
      left = left - 1
    end
  end
  sweep()
  return left <= 0
end
