--#include base
-- Interned texts. Kind 'n': task names, 'q': queues. A record keeps the number; past the limit the text itself.
local interned = {}
local function intern(kind, text)
  local known = kind .. text
  local n = interned[known]
  if n then return n end
  n = call('HGET', P .. kind .. 'n', text)
  if not n then
    n = call('HLEN', P .. kind .. 'n') + 1
    if n > 50000 then
      n = '=' .. text
    else
      n = int(n)
      call('HSET', P .. kind .. 'n', text, n)
      call('HSET', P .. kind .. 't', n, text)
    end
  end
  interned[known] = n
  return n
end
local function queue_number(queue)
  if queue == 'celery' then return '0' end
  return intern('q', queue)
end
local spelled = { q0 = 'celery' }
local function text_of(kind, n)
  local known = kind .. n
  local text = spelled[known]
  if text then return text end
  if string.byte(n) == 61 then
    text = string.sub(n, 2)
  else
    text = call('HGET', P .. kind .. 't', n) or ''
  end
  spelled[known] = text
  return text
end
--#scope
