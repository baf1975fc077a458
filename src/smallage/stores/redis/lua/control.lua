-- Puts an order into the inbox of its session. In: session, kind, id, token, text. Keys: h:<session>, i:. Answer: 1 or 0.
--#include drain
--#include orders
local session, kind, id, tok, text = arg(), arg(), arg(), number(), arg()
return send_order(session, kind, id, tok, text) and 1 or 0
