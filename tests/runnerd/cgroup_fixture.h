// SPDX-License-Identifier: AGPL-3.0-only
// What tests of cgroups share: a tree of their own below whatever part of the hierarchy this test
// was started in, and looks at it from outside. Not thread-safe.
#ifndef AUSPEX_TESTS_RUNNERD_CGROUP_FIXTURE_H_
#define AUSPEX_TESTS_RUNNERD_CGROUP_FIXTURE_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runnerd/cgroup/tree.h"
#include "runnerd/process.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {

// What a host has to have for a test that needs cgroups.
inline constexpr char kNeedsCgroup[] =
    "a delegated cgroup v2 subtree (run the test under systemd-run --scope -p Delegate=yes)";
#define AUSPEX_NEEDS_CGROUP(tree) AUSPEX_SKIP_UNLESS((tree).usable(), kNeedsCgroup)
#define AUSPEX_NEEDS_CONTROLLER(tree, name)          \
  AUSPEX_SKIP_UNLESS((tree).InForce("cgroup-" name), \
                     "the controller " name " in a delegated cgroup v2 subtree")

// The folder of the units of a tree of this state folder, by its path.
std::string UnitsFolder(const CgroupTree& tree, const std::string& state_dir);
// The folders below it; names of units.
std::vector<std::string> UnitsIn(const std::string& units_folder);

// A program with standard streams of its own, in a cgroup.
Process StartIn(const UnitCgroup& cgroup, const std::vector<std::string>& arguments);
// A shell that keeps a processor busy until it is killed.
Process SpinIn(const UnitCgroup& cgroup);

// Looks every few milliseconds, for up to 20 s.
bool Eventually(const std::function<bool()>& condition);

// Runs `body` in a forked process and returns what it returns (0..100); 255 when it died.
int InChild(const std::function<int()>& body);

}  // namespace auspex::runnerd

#endif  // AUSPEX_TESTS_RUNNERD_CGROUP_FIXTURE_H_
