--[[
  Commits one change of a shard, all or nothing: a list of commands that were worked out from what stood in
  Redis at one revision. It must be atomic because a count without its device state (or the other way round)
  would be counted again after a crash; it writes nothing when the revision is another one by now, because
  then somebody else has committed and the commands rest on what is true no more.

  KEYS  1 meta (hash)   2 dead letters (stream)   then the keys that the commands name by position
  ARGV  expected revision ('' = none yet), new revision, dead letters to keep at most,
        the commands one after the other, each a MessagePack array: name, position of its key, arguments
  Output  1 committed   0 the revision is another one: nothing was written
]]
local meta, dead = KEYS[1], KEYS[2]
if (redis.call('HGET', meta, 'revision') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', meta, 'revision', ARGV[2])

-- One at a time: all at once would be as many results as there are commands, which Lua has no room for.
local at, command = 0, nil
while at ~= -1 and #ARGV[4] > 0 do
  at, command = cmsgpack.unpack_one(ARGV[4], at)
  redis.call(command[1], KEYS[tonumber(command[2])], unpack(command, 3))
end

local dropped = redis.call('XTRIM', dead, 'MAXLEN', '~', ARGV[3])
if dropped > 0 then redis.call('HINCRBY', meta, 'dead_dropped', dropped) end
return 1
