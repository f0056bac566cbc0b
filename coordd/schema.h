// SPDX-License-Identifier: AGPL-3.0-only
// The store's schema as a list of migrations, applied in order, each in one transaction. PRAGMA
// user_version counts those that were applied. A released step is never changed; a change is a new
// step.
#ifndef AUSPEX_COORDD_SCHEMA_H_
#define AUSPEX_COORDD_SCHEMA_H_

#include <string_view>
#include <vector>

namespace auspex::coordd {

const std::vector<std::string_view>& SchemaMigrations();

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_SCHEMA_H_
