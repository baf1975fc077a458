-- Payload and row of a task while they are kept. In: id. Keys: t:, p:, g:<id>, g:<id>:a:<chunk>. Answer: nil, {payload} or
-- {template, row}.
--#include record
local id = arg()
local r = find(id)
local raw, index = place_of(id)
local G = raw and living(raw)
if r then
  if r.state == '4' or r.state == '6' then return false end
  local payload = get_bytes(r, 'p')
  if payload then
    local row -- of a follow-up: behind the id and the reason in field A
    if r.f.A then
      local at_reason = 3 + struct.unpack('>I2', r.f.A)
      row = string.sub(r.f.A, at_reason + 1 + string.byte(r.f.A, at_reason))
    end
    return row and row ~= '' and { payload, string.sub(row, 2) } or { payload }
  end
  if not (r.like and G) then return false end
elseif not G or G.U or index >= G.rows or call('GETBIT', G.key .. ':b', index) == 1 then
  return false
else
  for a, b in string.gmatch(G.V or '', '(%d+) (%d+) %d+;') do
    if index >= tonumber(a) and index < tonumber(b) then return false end
  end
end
return { call('HGET', G.key, 'p'), call('LINDEX', chunk(G, 'a', index), index % 128) or '' }
