// SPDX-License-Identifier: AGPL-3.0-only
// Where hosts that do not follow the file system hierarchy keep what sandboxes are built from and of, as the build was told: CMake's
// AUSPEX_BWRAP and AUSPEX_SYSTEM_TREE. Fixed in the program, since neither a variable nor a setting may choose what builds the walls or
// what is shown through them. Empty, as for Debian: the usual places, and nothing more is shown.
#ifndef AUSPEX_RUNNERD_HOST_PLACES_H_
#define AUSPEX_RUNNERD_HOST_PLACES_H_

#ifndef AUSPEX_BWRAP
#define AUSPEX_BWRAP ""
#endif
#ifndef AUSPEX_SYSTEM_TREE
#define AUSPEX_SYSTEM_TREE ""
#endif

namespace auspex::runnerd {

// The bubblewrap to start, and no other.
inline constexpr char kBubblewrap[] = AUSPEX_BWRAP;
// A folder with the host's programs and libraries beside /usr, which /usr's own links may lead to: /nix/store.
inline constexpr char kSystemTree[] = AUSPEX_SYSTEM_TREE;
inline constexpr bool kHasSystemTree = sizeof kSystemTree > 1;

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_HOST_PLACES_H_
