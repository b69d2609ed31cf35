--[[
  Takes releases off a shard's list of changed ones, each only when its counts have not changed since
  they were read: a fold in between must lead to another evaluation.

  KEYS  1 dirty releases (hash)
  ARGV  pairs of release text and the cursor that was read
  Output  how many were taken off
]]
local cleared = 0
for index = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[index]) == ARGV[index + 1] then
    cleared = cleared + redis.call('HDEL', KEYS[1], ARGV[index])
  end
end
return cleared
