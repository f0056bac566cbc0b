// SPDX-License-Identifier: AGPL-3.0-only
// What the experiment handlers share: the view, and finding the path's experiment for a caller who
// may see it.
#ifndef AUSPEX_COORDD_EXPERIMENT_VIEWS_H_
#define AUSPEX_COORDD_EXPERIMENT_VIEWS_H_

#include <variant>

#include "coordd/experiment_store.h"
#include "coordd/services.h"

namespace auspex::coordd {

// Nulls are left out.
JsonObject ExperimentView(const ExperimentRow& experiment);
// The experiment of the path's first segment; 404 `experiment_not_found` for strangers too.
std::variant<ExperimentRow, Reply> VisibleExperiment(Services& services, const Context& context);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_EXPERIMENT_VIEWS_H_
