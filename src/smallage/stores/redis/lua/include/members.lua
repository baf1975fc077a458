--#include groups
-- Ids of members by place: hash g:<id>:a:<chunk> of an unlike group; in a like one hash g:<id>:l has those that came late
-- and those that became tasks of their own.
local function member_at(G, index)
  if G.U then return call('HGET', chunk(G, 'a', index), int(index)) end
  if index >= G.rows then return call('HGET', G.key .. ':l', int(index)) end
  return 'm' .. G.raw .. int(index)
end
--#scope
