-- What wrk sends and prints: each line of a file is a path, a tab and a body; "{n}" in a body becomes a number of its own.
-- Arguments: the file, a prefix of these numbers, the longest wait before a request in ms (0: none).

local threads = 0

function setup(thread)
  thread:set("place", threads)
  threads = threads + 1
end

local made, templates, sent, mark, wait = {}, {}, 0, "", 0

function init(args)
  mark, wait = args[2] .. "-" .. place .. "-", tonumber(args[3])
  math.randomseed(7 + place)
  local headers = { ["Content-Type"] = "application/json", ["Host"] = wrk.headers["Host"] }
  for line in io.lines(args[1]) do
    local path, body = line:match("^([^\t]*)\t(.*)$")
    if body:find("{n}", 1, true) then
      templates[#templates + 1] = { path, body, headers }
    else
      made[#made + 1] = wrk.format("POST", path, headers, body)
    end
  end
  if wait > 0 then
    delay = function() return math.random(0, wait) end
  end
end

function request()
  sent = sent + 1
  if #made > 0 then return made[(sent - 1) % #made + 1] end
  local path, body, headers = unpack(templates[(sent - 1) % #templates + 1])
  return wrk.format("POST", path, headers, (body:gsub("{n}", mark .. sent)))
end

function done(summary, latency, requests)
  local slow = 0
  for i = 1, #latency do
    local us, count = latency(i)
    if us > 50000 then slow = slow + count end
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"n": %d, "seconds": %.6f, "n_failed": %d, "p50_us": %.1f, "p99_us": %.1f, "max_us": %.1f, "n_slow": %d}\n',
    summary.requests, summary.duration / 1e6, errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, slow))
end
