--#include record
-- Follow-ups: a task that the store itself ended, and whose envelope asks for it, is handed to a worker once more under
-- an id of its own, so that what follows that end is worked out. Field A: the ended task's id with its length in 2 bytes,
-- the reason with its length in 1, then 1 and the row of a like member.
local function uuid_of(raw)
  local hex = string.gsub(raw, '.', function(c) return format('%02x', string.byte(c)) end)
  return string.gsub(hex, '^(........)(....)(....)(....)', '%1-%2-%3-%4-')
end
local function after_id(id, gen)
  local first = string.byte(id)
  local text
  if #id == 16 then
    text = uuid_of(id)
  elseif first == 109 and #id > 17 then
    text = uuid_of(string.sub(id, 2, 17)) .. '.' .. string.sub(id, 18)
  else
    text = string.sub(id, 2, first == 120 and -1 or -2)
  end
  text = 'after:' .. int(gen) .. ':' .. text
  return #text == 15 and 'y' .. text .. '.' or 'x' .. text
end
-- A list here gathers what would go to the front of a line, for those who are taking from it.
local put_off
local function follow_up(r, reason)
  local payload, row = get_bytes(r, 'p'), ''
  if not payload and r.like then
    local G = group(r.group)
    payload = call('HGET', G.key, 'p')
    row = '1' .. (call('LINDEX', chunk(G, 'a', r.index), r.index % 128) or '')
  end
  if not payload then return end
  local id = after_id(r.id, r.gen)
  local old = load(id)
  if old then
    if not ENDED[old.state] then return end
    remove(old)
  end
  reason = string.sub(reason or '', 1, 255)
  local after = struct.pack('>I2', #r.id) .. r.id .. struct.pack('>I1', #reason) .. reason .. row
  if #payload > INLINE then
    call('SET', P .. 'p:' .. id, payload)
    call('HSET', key_of(id), 'f', P_OUT + MORE, 'n', r.name, 'g', '', 'a', now_text, 't', '0', 'A', after)
  else
    call('HSET', key_of(id), 'f', MORE, 'p', payload, 'n', r.name, 'g', '', 'a', now_text, 't', '0', 'A', after)
  end
  if r.q ~= '0' then call('HSET', key_of(id), 'q', r.q) end
  if r.prio ~= '0' then call('HSET', key_of(id), 'r', r.prio) end
  count(r.q, 'r', 1)
  if put_off then
    put_off[#put_off + 1] = { id, text_of('q', r.q), r.prio }
  else
    enqueue(id, text_of('q', r.q), r.prio, true)
  end
end
-- What the envelope says: 0 never, 1 when the task died, 2 also when it expired or was cancelled (not for like members).
local function follow_of(r)
  local follow = math.floor(r.flags / FOLLOWS) % 4
  local G = r.like and group(r.group)
  if G then follow = math.min(G.f, 1) end
  return follow
end
local function put_in_front(list)
  for _, item in ipairs(list) do enqueue(item[1], item[2], item[3], true) end
end
local function follow_end(r, state, reason)
  local follow = follow_of(r)
  if follow == 2 or follow == 1 and state == '5' and reason ~= 'expired' then follow_up(r, reason) end
end
