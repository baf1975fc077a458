-- Keeps a note as a running task's progress. In: id, generation, token, nonce, note. Keys: t:, u:, c. Answer: o(k) or s(tale).
--#include drain
--#include record
local id, gen, tok, nonce, note = arg(), number(), number(), arg(), arg()
local r = find(id)
local answer = 's'
if r and r.state == 'n' and r.gen == gen and r.tok == tok and r.f.o == nonce then
  put_bytes(r, 'u', note)
  save(r)
  if r.like then tell_place(r.group, r.index) else tell(id) end
  answer = 'o'
else
  total('stale', 1)
end
close_books()
return answer
