-- The names of all schedules. Keys: y. In: nothing. Answer: the names.
--#include base
return call('SMEMBERS', P .. 'y')
