--#include base
-- Orders for sessions: list i:<inbox>. False if there is no such session.
local function send_order(session, kind, id, tok, text)
  local inbox = call('HGET', P .. 'h:' .. session, 'i')
  if not inbox then return false end
  -- For a day: nobody may read it any more.
  call('RPUSH', P .. 'i:' .. inbox, struct.pack('>I2', #session) .. session .. struct.pack('>I1', #kind) .. kind
    .. struct.pack('>I2', #id) .. id .. struct.pack('>I7', tok) .. text)
  call('PEXPIRE', P .. 'i:' .. inbox, 86400000)
  return true
end
