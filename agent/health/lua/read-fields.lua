--[[
  Reads fields of hashes of a shard, all as they stand at one revision. A script, because as plain commands every field
  would be an argument of its own, and half of what folding costs was making those.

  KEYS  1 meta (hash)   then the hashes
  ARGV  expected revision ('' = none yet)
        per hash, in the order of the keys: a MessagePack array of the names of fields
  Output  per hash a MessagePack array of values in the order of the names, one after the other, false = not there
          nil   the revision is another one
]]
if (redis.call('HGET', KEYS[1], 'revision') or '') ~= ARGV[1] then return false end

local values, at, names = {}, 0, nil
for index = 2, #KEYS do
  at, names = cmsgpack.unpack_one(ARGV[2], at)
  values[index - 1] = cmsgpack.pack(redis.call('HMGET', KEYS[index], unpack(names)))
end
return table.concat(values)
