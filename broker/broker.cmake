# cloister-broker, the unprivileged half: no TLS, no X11, no JSON, no image code.
find_library(SODIUM_STATIC libsodium.a REQUIRED)

# Pure parts, and the parts that the tests and fuzzers drive without a process around them.
cloister_library(broker_parts
  SOURCES backoff.c consent.c event_loop.c log_pipe.c log_ration.c peer.c quota.c requests.c
  LIBS monitor_protocol logging ipc ${SODIUM_STATIC})
cloister_library(broker_core
  SOURCES broker_tick.c commands.c connection.c door.c handlers.c monitor_link.c router.c supervisor.c tickets.c welcome.c
  LIBS broker_parts worker)
cloister_test(event_loop LIBS broker_parts)
cloister_test(quota LIBS broker_parts)
cloister_test(requests LIBS broker_parts)
cloister_test(consent LIBS broker_parts)
cloister_test(peer LIBS broker_parts)
cloister_fuzz(dispatch LIBS broker_parts DICT ${CMAKE_BINARY_DIR}/ipc-schema/generated/ipc.dict
  MAX_LEN 8192)
cloister_fuzz(log_pipe LIBS broker_parts WRAP write MAX_LEN 16384)

cloister_program(cloister-broker SOURCES broker_main.c sodium_sha256_only.c LIBS broker_core broker_filter)
cloister_policy(broker)
