--#include base
-- First write of a draining verb. A full server refuses a script whose first write may grow memory; UNLINK cannot, and
-- what follows it is let through.
call('UNLINK', P .. '-')
