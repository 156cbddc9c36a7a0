dnl SPDX-License-Identifier: MIT
dnl refreshd_flags.m4 - use a compiler or linker flag where it is understood, else do without.

dnl REFRESHD_TRY(VARIABLE, FLAGS, PROBED-VARIABLE): append FLAGS to VARIABLE when a program
dnl compiles and links with them and without a warning.
AC_DEFUN([REFRESHD_TRY], [
  AC_MSG_CHECKING([whether $CC understands $2])
  refreshd_saved_$3=$$3
  refreshd_saved_c_werror_flag=$ac_c_werror_flag
  $3="$$3 $2"
  ac_c_werror_flag=yes
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [[return strlen("") != 0;]])],
    [refreshd_understood=yes], [refreshd_understood=no])
  ac_c_werror_flag=$refreshd_saved_c_werror_flag
  $3=$refreshd_saved_$3
  AS_IF([test "x$refreshd_understood" = xyes], [$1="$$1 $2"])
  AC_MSG_RESULT([$refreshd_understood])
])
AC_DEFUN([REFRESHD_TRY_CFLAGS], [REFRESHD_TRY([REFRESHD_CFLAGS], [$1], [CFLAGS])])
AC_DEFUN([REFRESHD_TRY_CPPFLAGS], [REFRESHD_TRY([REFRESHD_CPPFLAGS], [$1], [CPPFLAGS])])
AC_DEFUN([REFRESHD_TRY_LDFLAGS], [REFRESHD_TRY([REFRESHD_LDFLAGS], [$1], [LDFLAGS])])
