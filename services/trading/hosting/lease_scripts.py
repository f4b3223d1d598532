"""What Redis does in one step for a lease: Lua, so that nobody else comes in between.

Keys: ``members`` (sorted set: owner -> when its heartbeat ends), ``since`` (when leases began to be
kept without a break), and for each account ``lease:`` ("<fence> <owner>", ends by itself) and
``fence:`` (the last number, kept for good). Times are milliseconds of Redis' own clock.
"""

#: One slot of a cluster for all keys.
PREFIX = "{strategy-leases}:"

#: KEYS: members, since, then lease and fence of each account. ARGV: owner, ttl in ms, then for each
#: account the number by which the owner holds it (0: it does not), and the largest that it knows.
#: Returns the position of an account that is to be given back (0: none), then for each account
#: the number by which the owner holds it now.
SYNC = """
local owner, ttl = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(number) return string.format('%.0f', number) end

redis.call('ZADD', KEYS[1], text(now + ttl), owner)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now))
redis.call('PEXPIRE', KEYS[1], text(ttl))
local since = math.min(tonumber(redis.call('GET', KEYS[2]) or now), now)
redis.call('SET', KEYS[2], text(since), 'PX', text(ttl))

local accounts = (#KEYS - 2) / 2
local held, members = {}, 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  held[member] = 0
  members = members + 1
end

local fences = {}
local function acquire(i)
  local last = tonumber(redis.call('GET', KEYS[2 * i + 2]) or 0)
  local fence = math.max(now, last + 1, tonumber(ARGV[2 * i + 2]) + 1)
  redis.call('SET', KEYS[2 * i + 2], text(fence))
  redis.call('SET', KEYS[2 * i + 1], text(fence) .. ' ' .. owner, 'PX', text(ttl))
  fences[i] = fence
  held[owner] = held[owner] + 1
end

local free = {}
for i = 1, accounts do
  fences[i] = 0
  local asked, fence, holder = ARGV[2 * i + 1], nil, nil
  local value = redis.call('GET', KEYS[2 * i + 1])
  if value then fence, holder = string.match(value, '^(%d+) (.+)$') end
  if holder and holder ~= owner then
    if held[holder] then held[holder] = held[holder] + 1 end
  elseif asked ~= '0' and fence == asked then
    redis.call('PEXPIRE', KEYS[2 * i + 1], text(ttl))
    fences[i] = tonumber(fence)
    held[owner] = held[owner] + 1
  elseif asked ~= '0' then
    acquire(i)
  else
    redis.call('DEL', KEYS[2 * i + 1])
    free[#free + 1] = i
  end
end

local least, most = math.floor(accounts / members), math.ceil(accounts / members)
local wanted = 0
for member, count in pairs(held) do
  if member ~= owner then wanted = wanted + math.max(0, least - count) end
end
local left = #free
if now - since >= ttl then
  for _, i in ipairs(free) do
    if held[owner] < least or (held[owner] < most and left > wanted) then
      acquire(i)
      left = left - 1
    end
  end
end

local gives = held[owner] > most
if not gives and held[owner] > least and wanted > left then
  gives = true
  for member, count in pairs(held) do
    if count > held[owner] or (count == held[owner] and member > owner) then gives = false end
  end
end
local answer = {0}
for i = 1, accounts do
  answer[i + 1] = fences[i]
  if gives and fences[i] > 0 then answer[1] = i end
end
return answer
"""

#: KEYS as above, ARGV: owner. All that it holds is free at once.
RELEASE = """
redis.call('ZREM', KEYS[1], ARGV[1])
for i = 3, #KEYS, 2 do
  local value = redis.call('GET', KEYS[i])
  if value and string.match(value, '^%d+ (.+)$') == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
"""
