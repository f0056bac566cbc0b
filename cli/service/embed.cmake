# SPDX-License-Identifier: AGPL-3.0-only
# cmake -DFOLDER=deploy/systemd -DOUT=FILE -P embed.cmake: writes the units of the system's manager as one C++ source, so that those of a
# person's manager are made from them wherever the command is.
file(GLOB units ${FOLDER}/*.service ${FOLDER}/*.socket ${FOLDER}/*.target)
list(SORT units)
set(source "// Made from deploy/systemd by cli/service/embed.cmake.\n#include \"cli/service/system_units.h\"\n\n")
string(APPEND source "namespace auspex::cli {\n\nconst std::vector<SystemUnit>& SystemUnits() {\n  static const std::vector<SystemUnit> units = {\n")
foreach(unit ${units})
  get_filename_component(name ${unit} NAME)
  file(READ ${unit} text)
  string(APPEND source "      {\"${name}\", R\"=unit=(${text})=unit=\"},\n")
endforeach()
string(APPEND source "  };\n  return units;\n}\n\n}  // namespace auspex::cli\n")
file(WRITE ${OUT} "${source}")
