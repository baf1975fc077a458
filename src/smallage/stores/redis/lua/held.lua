-- What a session holds. In: session. Keys: s:<session>, t:. Answer: id, generation, token, nonce of each, by token.
--#include sessions
local answer = {}
local held = held_records(arg())
for i = #held, 1, -1 do
  local r = held[i]
  for _, item in ipairs({ r.id, r.gen, int(r.tok), r.f.o }) do answer[#answer + 1] = item end
end
return answer
