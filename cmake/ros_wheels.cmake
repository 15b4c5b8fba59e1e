# Builds this package with ROS 2 from Python wheels in a virtual environment, without any variables to set. With any other
# ROS 2 both functions do nothing.

# If Python is a virtual environment with the wheels: find ROS there, and by default install there.
macro(ros_wheels_use_virtual_environment)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c "import sys; print(sys.prefix if sys.prefix != sys.base_prefix else '')"
    OUTPUT_VARIABLE _ros_wheels_prefix OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(_ros_wheels_prefix AND EXISTS "${_ros_wheels_prefix}/share/ament_cmake")
    list(PREPEND CMAKE_PREFIX_PATH "${_ros_wheels_prefix}")
    # ament finds the resources of other packages by this variable, only while configuring
    if(NOT ":$ENV{AMENT_PREFIX_PATH}:" MATCHES ":${_ros_wheels_prefix}:")
      set(ENV{AMENT_PREFIX_PATH} "${_ros_wheels_prefix}:$ENV{AMENT_PREFIX_PATH}")
    endif()
    if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
      set(CMAKE_INSTALL_PREFIX "${_ros_wheels_prefix}" CACHE PATH "" FORCE)
    endif()
  endif()
endmacro()

# The exported targets of a message wheel contain the Python and NumPy include directories of the machine that built it, and
# CMake refuses imported targets whose directories do not exist. rosidl_generator_py finds those of this machine, so the
# others can be removed. Call this after rosidl_generate_interfaces, which imports further message packages.
function(ros_wheels_drop_missing_includes)
  get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(_target IN LISTS _targets)
    get_target_property(_directories ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT _directories)
      continue()
    endif()
    set(_present "")
    foreach(_directory IN LISTS _directories)
      if(NOT IS_ABSOLUTE "${_directory}" OR EXISTS "${_directory}")
        list(APPEND _present "${_directory}")
      endif()
    endforeach()
    set_property(TARGET ${_target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${_present}")
  endforeach()
endfunction()
