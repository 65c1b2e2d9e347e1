-- Posts bridge webhooks of about 2 KB, each with a message id of its own; every connection waits for
-- `pause_ms` on average between its requests.
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    secret, run, pause_ms = args[1], args[2], tonumber(args[3] or "0")
    if pause_ms == 0 then delay = nil end
    counter = 0
    padding = string.rep("x", 1600)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["X-Internal-Secret"] = secret
end

function request()
    counter = counter + 1
    local id = run .. "T" .. number .. "N" .. counter
    local chat = "9725" .. string.format("%08d", counter % 5000)
    local body = '{"tenantId":"business_6","payload":{"type":"notify","messages":[{"key":{"remoteJid":"' .. chat ..
        '@s.whatsapp.net","fromMe":false,"id":"' .. id .. '"},"messageTimestamp":1770500000,"pushName":"Dana",' ..
        '"message":{"conversation":"' .. padding .. '"}}]}}'
    return wrk.format(nil, nil, nil, body)
end

-- Spread, so that the connections do not ask in step.
function delay()
    return math.random() * 2 * pause_ms
end

function done(summary, latency, requests)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status +
        summary.errors.timeout
    io.write(string.format('RESULT {"requests":%d,"failed":%d,"seconds":%f,"p99_ms":%f}\n',
        summary.requests, failed, summary.duration / 1e6, latency:percentile(99) / 1000))
end
