--#include base
-- The store's epoch against the one that the caller knows. False: there is none, the store is empty or was flushed.
local function check_epoch()
  local known = arg()
  local epoch = call('HGET', P .. 'c', 'epoch')
  if not epoch then return false end
  return epoch == known and '' or epoch
end
