--[[
  Takes releases that nobody has reported about for longest out of a shard, to make room for new ones:
  their rows of the release table and their counts. It must be atomic, and fails when the cursor has moved:
  a fold in between may have counted one of them.

  KEYS  1 meta (hash)   2 release table (hash)   3 dirty releases (hash)   then per release: totals, windows
  ARGV  expected cursor, expected number of retired releases, then the release texts
  Output  1 retired   0 the cursor has moved, or others have retired: nothing was written
]]
local meta, releaseTable, dirty = KEYS[1], KEYS[2], KEYS[3]
if (redis.call('HGET', meta, 'cursor') or '0-0') ~= ARGV[1] then return 0 end
if (redis.call('HGET', meta, 'retired') or '0') ~= ARGV[2] then return 0 end
for index = 3, #ARGV do
  redis.call('HDEL', releaseTable, ARGV[index])
  -- Evaluated once more, so that its summary goes as well when no shard knows it any longer.
  redis.call('HSET', dirty, ARGV[index], 'retired')
  redis.call('DEL', KEYS[index * 2 - 2], KEYS[index * 2 - 1])
end
redis.call('HINCRBY', meta, 'retired', #ARGV - 2)
return 1
