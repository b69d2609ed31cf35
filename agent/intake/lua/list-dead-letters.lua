--[[
  Reads letters of one shard without their whole payloads, which may have megabytes: one letter at a time, so
  that neither Redis nor the agent ever holds many of them. Changes nothing.

  KEYS  1 dead letters (stream)
  ARGV  "newest" or "oldest" first, where to begin (`-`, `+`, an id, or `(` and an id: not this one itself),
        letters at most, bytes of a payload and of a reason at most
  Output  per letter: id, reason, beginning of the payload, bytes of the whole payload
]]
local order, from, most, cut = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local letters = {}
while #letters < most do
  local rows
  if order == 'newest' then
    rows = redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', 1)
  else
    rows = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)
  end
  if #rows == 0 then break end
  local id, reason, payload = rows[1][1], '', ''
  for index = 1, #rows[1][2], 2 do
    if rows[1][2][index] == 'reason' then reason = rows[1][2][index + 1] end
    if rows[1][2][index] == 'payload' then payload = rows[1][2][index + 1] end
  end
  letters[#letters + 1] = { id, string.sub(reason, 1, cut), string.sub(payload, 1, cut), #payload }
  from = '(' .. id
end
return letters
