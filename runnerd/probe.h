// SPDX-License-Identifier: AGPL-3.0-only
// The probe: builds the real strict sandbox around a program that tries its walls from inside, and
// judges what it found, layer by layer. JudgeLook is pure; RunProbe starts a sandbox from the
// calling thread.
#ifndef AUSPEX_RUNNERD_PROBE_H_
#define AUSPEX_RUNNERD_PROBE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runnerd/sandbox_host.h"

namespace auspex::runnerd {

struct IsolationLayer {
  std::string name;  // one word
  bool in_force = false;
  bool required = true;  // without it no unit runs
  std::string remedy;    // what the owner can do; empty when in force
};

struct ProbeResult {
  bool ok = false;
  std::vector<IsolationLayer> layers;
  std::string failure;  // the first reason in words, naming the layer; empty when ok
};

// `look`: the facts of auspex-unit-init --self-look, "name=value" lines; `outside`: the namespaces
// of this process, kind -> identity
// ("user:[4026531837]"); `landlock_abi`: what this kernel offers, 0: no Landlock.
ProbeResult JudgeLook(std::string_view look, const std::map<std::string, std::string>& outside,
                      int landlock_abi);

// Adds what `cgroups` (null: nothing) holds of a unit's limits, one layer a fact. Units run without
// them, unless the owner's sandbox.require_cgroup says otherwise.
void AddCgroupLayers(const CgroupTree* cgroups, ProbeResult& result);

// The whole probe; takes about 10 ms.
ProbeResult RunProbe(const SandboxHost& host);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_PROBE_H_
