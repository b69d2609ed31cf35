--[[
  Puts letters back into their shard's report stream. It must be atomic because a letter that is in both
  streams would be folded twice if somebody re-drove it again, and one that is in neither would be lost.

  KEYS  1 dead letters (stream)   2 reports (stream)
  ARGV  n x (letter id, k, k x field or value)
  Output  per letter 1 = put back, 0 = it was there no more
]]
local results, nextArg = {}, 1
while nextArg <= #ARGV do
  local id, count = ARGV[nextArg], tonumber(ARGV[nextArg + 1])
  local first = nextArg + 2
  local taken = redis.call('XDEL', KEYS[1], id)
  if taken == 1 then redis.call('XADD', KEYS[2], '*', unpack(ARGV, first, first + count - 1)) end
  results[#results + 1] = taken
  nextArg = first + count
end
return results
