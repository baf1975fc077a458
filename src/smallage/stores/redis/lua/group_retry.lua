-- Pushes the failed members of a group back, up to 200 a call. In: raw id. Keys: g:<id>, g:<id>:d, those of settle.
-- Answer: {how many, 1 if there are more}.
--#include drain
--#include reviving
--#include members
local raw = arg()
local G = living(raw)
if not G then return { 0, 0 } end
if G.v then
  G.v = nil
  call('HDEL', G.key, 'v')
end
local places = {}
for _, index in ipairs(call('SMEMBERS', G.key .. ':d')) do places[#places + 1] = tonumber(index) end
table.sort(places)
local n = 0
for i = 1, math.min(#places, 200) do
  local index = places[i]
  local id = member_at(G, index)
  local r = id and load(id)
  if r and r.group == raw and revive(r) then n = n + 1 else call('SREM', G.key .. ':d', index) end
end
save_groups()
close_books()
return { n, #places > 200 and 1 or 0 }
