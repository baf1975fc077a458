-- Makes a listener of this session return. In: session. Key: z:<session>, for a minute: nobody may be listening.
--#include drain
local key = P .. 'z:' .. arg()
call('RPUSH', key, '1')
call('LTRIM', key, 0, 0)
call('PEXPIRE', key, 60000)
return 1
