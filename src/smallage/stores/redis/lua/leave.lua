-- Ends a session; what it holds is released to the front. In: session. Keys: those of settle. Answer: the released ids.
--#include drain
--#include sessions
local ids = end_session(arg(), function(r)
  add_count(r, 4)
  if goes_back(r) then to_ready(r, FRONT) end
end)
save_groups()
close_books()
return ids or {}
