--#include revoking
--#include reopening
-- Running ended tasks again.
-- False if its payload is not there any more. Only dead tasks keep theirs.
local function revive(r)
  if r.broken or r.state ~= '5' then return false end
  local G = r.group and group(r.group)
  if not get_bytes(r, 'p') and not (r.like and G) then return false end
  start_anew(r)
  local B = r.f.j and group(r.f.j)
  if B then
    B.B = 0
    B.dirty = true
  end
  put(r, 'x', r.like and '0' or nil)
  put(r, 'b', r.f.k)
  to_ready(r)
  write(r)
  return true
end
