-- Removes ended records, and ended groups with their members. In: ids, a group's beginning with g. Keys: t:, g:, gz, x, c.
-- Answer: how many.
--#include drain
--#include pruning
local n = 0
while at < #ARGV do
  local id = arg()
  if call('ZREM', P .. 'ra', id) == 1 then forget_ahead(id) end
  local G = #id == 16 and living(id)
  if G and G.e ~= 0 then
    remove_group(G)
    sweep()
    n = n + 1
  else
    local r = load(id)
    if r and not gone(r) and ENDED[r.state] and not (r.group and group(r.group)) then
      remove(r)
      n = n + 1
    end
  end
end
save_groups()
close_books()
return n
