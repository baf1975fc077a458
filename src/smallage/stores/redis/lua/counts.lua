-- In: names of totals. Keys: c, n, qn. Answer: {the totals, open tasks by queue number and state, queue numbers}.
--#include base
local names = {}
while at < #ARGV do names[#names + 1] = arg() end
return { call('HMGET', P .. 'c', unpack(names)), call('HGETALL', P .. 'n'), call('HGETALL', P .. 'qn') }
