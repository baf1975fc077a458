--#include base
-- What a script changes a little at a time is gathered here and written once, by `close_books`.

-- Open tasks by queue and state: hash `n`, fields queue number + r(eady) s(cheduled) n(running) w(aiting) p(arked).
local moved = {}
local function count(q, letter, n)
  local field = q .. letter
  moved[field] = (moved[field] or 0) + n
end
-- Totals: hash `c`.
local totals = {}
local function total(field, n) totals[field] = (totals[field] or 0) + n end

-- Bells: one stroke for each edge into ready.
local rung = {}
local function ring(queue, n) rung[queue] = (rung[queue] or 0) + n end
local function silence(queue)
  rung[queue] = nil
  call('DEL', P .. 'b:' .. queue)
end
local strokes = { '1' }

-- Watchers: channel e:<id>. A group's channel also says which of its like members changed: their places, or all.
local told, to_tell, places = {}, {}, {}
local function tell(id)
  if not told[id] then
    told[id] = true
    to_tell[#to_tell + 1] = id
  end
end
local function tell_place(raw, place)
  tell(raw)
  local list = places[raw]
  if list == nil then places[raw] = { place } elseif list then list[#list + 1] = place end
end
local function tell_all(raw)
  tell(raw)
  places[raw] = false
end

-- Ids that leave the sets of their sessions.
local dropped = {}
local function drop(session, id)
  local ids = dropped[session]
  if ids then ids[#ids + 1] = id else dropped[session] = { id } end
end

local function flush_drops()
  for session, ids in pairs(dropped) do call('SREM', P .. 's:' .. session, unpack(ids)) end
  dropped = {}
end

-- Ended ids, by the minute their life is over.
local endings = {}
local function list_ending(entry, life_end)
  local minute = math.floor(life_end / 60000000)
  local ids = endings[minute]
  if ids then ids[#ids + 1] = entry else endings[minute] = { entry } end
end
local tombs = {}

local function close_books()
  flush_drops()
  for minute, ids in pairs(endings) do
    local name = int(minute)
    if call('RPUSH', P .. 'f:' .. name, unpack(ids)) == #ids then call('ZADD', P .. 'f', minute, name) end
  end
  --#paste tombs
  for field, n in pairs(moved) do
    if n ~= 0 then call('HINCRBY', P .. 'n', field, n) end
  end
  for field, n in pairs(totals) do
    if n ~= 0 then call('HINCRBY', P .. 'c', field, n) end
  end
  for queue, n in pairs(rung) do
    local bell = P .. 'b:' .. queue
    n = math.min(n, 64)
    for i = #strokes + 1, n do strokes[i] = '1' end
    if call('RPUSH', bell, unpack(strokes, 1, n)) > 64 then call('LTRIM', bell, 0, 63) end
  end
  local channel = P .. 'e:'
  for i = 1, #to_tell do
    local id = to_tell[i]
    local list = places[id]
    call('PUBLISH', channel .. id, list == false and 'all' or list and table.concat(list, ',') or '')
  end
end
