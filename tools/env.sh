# The project's environment, for bash or zsh to source after `make build`:  source tools/env.sh
# Where `make` found a sourced ROS distribution, source that one first; elsewhere ROS 2 is the one in .venv.

_root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"
export VIRTUAL_ENV="$_root/.venv"
export PATH="$VIRTUAL_ENV/bin:$PATH"
if [ -f "$VIRTUAL_ENV/.ros_wheels" ]; then
  export ROS_DISTRO="$(cat "$VIRTUAL_ENV/.ros_wheels")"
  export AMENT_PREFIX_PATH="$VIRTUAL_ENV"
  unset PYTHONHOME PYTHONPATH  # packages made for another Python would break those in .venv
elif [ -z "${ROS_DISTRO:-}" ]; then
  echo "tools/env.sh: no ROS distribution is sourced; do that first, or run \`make build\`" >&2
fi
if [ -f "$_root/install/local_setup.bash" ]; then
  _nounset="${-//[^u]/}"
  set +u  # colcon's script reads variables that may be unset
  if [ -n "${ZSH_VERSION:-}" ]; then
    source "$_root/install/local_setup.zsh"
  else
    source "$_root/install/local_setup.bash"
  fi
  if [ -n "$_nounset" ]; then set -u; fi
  export PATH="$_root/install/spatial_mllm_ros/lib/spatial_mllm_ros:$PATH"
fi
export PYTHONPATH="$_root${PYTHONPATH:+:$PYTHONPATH}"  # the modules of this checkout; interfaces come from install/
# Fast DDS' defaults lose most raw images between processes (see config/fastdds.xml).
export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$_root/config/fastdds.xml}"
unset _root _nounset
