// SPDX-License-Identifier: AGPL-3.0-only
// Early return on a failed absl::Status or absl::StatusOr. Both macros evaluate their expression once.
#ifndef AUSPEX_COMMON_BASE_STATUS_MACROS_H_
#define AUSPEX_COMMON_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define AUSPEX_CONCAT_INNER(a, b) a##b
#define AUSPEX_CONCAT(a, b) AUSPEX_CONCAT_INNER(a, b)

// Returns the status of `expr` from the enclosing function unless it is OK. May be used inside a lambda within `expr`.
#define RETURN_IF_ERROR(expr) RETURN_IF_ERROR_IMPL(AUSPEX_CONCAT(auspex_status_, __COUNTER__), expr)
#define RETURN_IF_ERROR_IMPL(tmp, expr)         \
  do {                                          \
    if (absl::Status tmp = (expr); !tmp.ok()) { \
      return tmp;                               \
    }                                           \
  } while (false)

// Assigns the value of the StatusOr `expr` to `lhs` (which may declare a variable), or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(AUSPEX_CONCAT(auspex_status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr)    \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  lhs = std::move(tmp).value()

#endif  // AUSPEX_COMMON_BASE_STATUS_MACROS_H_
