// SPDX-License-Identifier: AGPL-3.0-only
// The files that stated may use once it is confined: its own state and run folder, and what the C
// library and gRPC read while they work. It calls nobody and reads no other role's key.
#ifndef AUSPEX_STATED_CONFINEMENT_H_
#define AUSPEX_STATED_CONFINEMENT_H_

#include "common/harden/harden.h"
#include "common/paths/layout.h"

namespace auspex::stated {

FileRules StatedFiles(const Layout& layout);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_CONFINEMENT_H_
