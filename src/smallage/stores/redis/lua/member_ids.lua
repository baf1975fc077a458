-- Ids of the members of a group at places offset to offset + n. In: raw id, offset, n. Keys: g:<id>, g:<id>:a:<chunk>.
-- Answer: nil, or id or '' (a like member) of each place.
--#include members
local G = living(arg())
if not G then return false end
local offset, n = number(), number()
local answer = {}
for index = offset, math.min(offset + n, G.T) - 1 do
  answer[#answer + 1] = (G.U or index >= G.rows) and member_at(G, index) or ''
end
return answer
