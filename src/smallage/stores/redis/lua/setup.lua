-- Writes the epoch and the schema version into an empty store. In: a new epoch, schema version. Key: c. Answer: {epoch,
-- schema version} of the store, 1 if they were written now.
--#include base
local epoch, schema = arg(), arg()
local v = call('HMGET', P .. 'c', 'epoch', 'schema')
if v[1] then return { v[1], v[2], 0 } end
call('HSET', P .. 'c', 'epoch', epoch, 'schema', schema)
return { epoch, schema, 1 }
