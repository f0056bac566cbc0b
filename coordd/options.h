// SPDX-License-Identifier: AGPL-3.0-only
// Options: everything the command line decides, checked by main before it gets here. Plain data,
// read-only once the server runs.
#ifndef AUSPEX_COORDD_OPTIONS_H_
#define AUSPEX_COORDD_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace auspex::coordd {

// Largest request body of an ordinary route, in octets (coordinator section 1).
inline constexpr size_t kMaxBodyOctets = 2'097'152;
// Largest package archive (13.3).
inline constexpr size_t kMaxPackageOctets = 64u * 1024 * 1024;
// Largest unpacked package (13.3).
inline constexpr size_t kMaxUnpackedOctets = 256u * 1024 * 1024;
// Largest body of the lab's one-call submission.
inline constexpr size_t kMaxLabBodyOctets = 128u * 1024 * 1024;

struct Options {
  std::string state_dir;        // 0700
  std::string token_file;       // maintainer tokens, 0600
  int64_t lease_seconds = 600;  // redelivery lease (7.5); at least 1
  int max_offers = 3;           // offers of one unit to one worker, the first included
  int expire_leases = 3;        // a place is freed after this many silent leases; 0 = never
  bool rate_limits = false;     // 14.6
  bool fake_idp = false;        // accepts access tokens "good-<subject>" and serves /fake-idp/
  bool signed_enrol = false;    // 5.1: an enrolment signed by its own key returns an existing id
  bool refuse_replays = false;  // 17.1: remember signatures for as long as their window is open
  std::string version = AUSPEX_VERSION;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_OPTIONS_H_
