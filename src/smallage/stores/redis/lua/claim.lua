-- Hands out ready tasks. In: session, nonce, n, number of queues, queues. Keys: h:<session>, r:, q:, t:, g:, d, s:, k, n.
-- Answer: see include/claiming.lua.
--#include drain
--#include claiming
return claim()
