/*
 * What uplink tells the broker about itself. Pure functions; any thread.
 */
#ifndef CLOISTER_UPLINK_REPORT_H
#define CLOISTER_UPLINK_REPORT_H

#include "cloister.pb.h"
#include "fault.h"
#include "wire.h"

/* The broker's word for a reason; every fault_reason has one. */
ipc_UplinkReason report_reason(enum fault_reason reason);

/*
 * Fills `state` with "not connected, because of `fault`"; the detail begins with the fault's stable
 * name.
 */
void report_fault(ipc_UplinkState *state, const struct fault *fault);

/* Fills `state` with "connected, and this is how far". */
void report_connected(ipc_UplinkState *state, enum wire_state machine);

#endif
