#!/bin/sh
# Prints eight events of this minute, one JSON text per line, in the shapes that GitHub, Stripe, Debezium and CloudEvents publish.
# Every value is invented.
now=$(date -u +%s)
rfc3339=$(date -u -d "@$now" +%Y-%m-%dT%H:%M:%SZ)

for sender in 21031067 583231; do
  printf '{"ref":"refs/heads/main","repository":{"id":186853002,"full_name":"octo/hello","pushed_at":%s},"sender":{"login":"octo-%s","id":%s}}\n' \
    "$now" "$sender" "$sender"
done
for customer in cus_Invented01 cus_Invented02; do
  printf '{"id":"evt_%s","object":"event","type":"customer.updated","created":%s,"data":{"object":{"object":"invoice","customer":"%s"}}}\n' \
    "$customer" "$now" "$customer"
done
for id in 1004 1005; do
  printf '{"schema":null,"payload":{"before":null,"after":{"customer_id":%s,"email":"a@example.org"},"source":{"connector":"postgresql","table":"customers","ts_ms":%s123},"op":"c"}}\n' \
    "$id" "$now"
done
for customer in acme globex; do
  printf '{"specversion":"1.0","type":"org.example.order","source":"/orders","id":"%s-1","time":"%s","data":{"customer_id":"%s","total":12}}\n' \
    "$customer" "$rfc3339" "$customer"
done
