// SPDX-License-Identifier: AGPL-3.0-only
// The messages between keyd and its gate, each one packet of a SOCK_SEQPACKET pair. Both ends are
// one program, so these are plain structures.
#ifndef AUSPEX_KEYD_GATE_PROTOCOL_H_
#define AUSPEX_KEYD_GATE_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <vector>

namespace auspex::keyd {

struct GateRequest {
  uint32_t command;     // HelperGate::Command
  uint32_t timeout_ms;  // 1..600000
};
// Comes with three descriptors: the helper's standard input to write to, its output and its error
// to read from. When `error` is not 0 the helper was not started and there are none.
struct GateStarted {
  int32_t error;  // errno
};
struct GateEnded {
  int32_t wait_status;
  uint32_t timed_out;
};

inline constexpr uint32_t kMaxHelperMs = 600'000;

// The gate's whole life; called in the forked child with nothing open but 0, 1, 2 and `socket`.
[[noreturn]] void GateMain(int socket, int parent, const std::string& helper,
                           std::vector<std::string> environment);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_GATE_PROTOCOL_H_
