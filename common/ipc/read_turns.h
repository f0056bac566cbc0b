// SPDX-License-Identifier: AGPL-3.0-only
// ReadTurns: no connection of a role is read without end. gRPC reads a socket until it is empty before it does anything with what it
// read; a peer that sends faster than that (streams opened and reset at once) kept it reading for good, while the calls that it had
// begun took a gigabyte and nobody else was served. The sockets that are marked here look empty to it once after every turn of
// kTurnOctets, so that it goes back to poll(2), which comes back at once, past the calls that wait to be answered and ended.
//
// What gRPC holds for such a peer still grows with what it reads, and its own bounds do not count it. So at the end of a turn a
// connection is cut when the heap holds more than BoundHeapForPeers said: first those, of any role, whose peers do not read what is
// sent to them, so that one that fills the heap and then waits has nobody else cut; if there are none, the one that is read, which is
// the one that sends. The heap's free pages are given back when it has become small again.
//
// It stands between gRPC and the C library by the linker's --wrap (CMakeLists.txt); gRPC has no hook for it. Right only with level-
// triggered polling, which KeepGrpc sees to. Safe from any thread.
#ifndef AUSPEX_COMMON_IPC_READ_TURNS_H_
#define AUSPEX_COMMON_IPC_READ_TURNS_H_

#include <cstddef>
#include <cstdint>

namespace auspex {

inline constexpr uint32_t kTurnOctets = 16 * 1024;

// `fd`, below 1024, is a role's connection from now on, read in turns. Others are not touched.
void ReadInTurns(int fd);
// From how many octets of heap on connections that go on sending are cut. At first kHeapForPeers.
inline constexpr size_t kHeapForPeers = size_t{512} * 1024 * 1024;
void BoundHeapForPeers(size_t octets);
// `fd` was closed.
void ForgetTurns(int fd);

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_READ_TURNS_H_
