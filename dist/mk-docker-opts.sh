#!/bin/sh
# Writes dockerd's options from flanneld's subnet.env into a file of variables, for a unit file's EnvironmentFile.
#
# The subnet file is read, never executed, and nothing but its FLANNEL_SUBNET, FLANNEL_MTU and FLANNEL_IPMASQ counts; of the
# environment only the combined variable, whose value is put in front. The output appears at once or not at all, unless it is
# not a plain file (/dev/stdout). POSIX sh.
#
# Exit code 1: wrong use, wrong values, no way to write; also, after writing, where another route to our subnet exists.

subnet_file=/run/flannel/subnet.env
docker_file=/run/docker_opts.env
key=DOCKER_OPTS
individual=no
combined=no
masquerade=yes

usage() {
	cat >&2 <<-EOF
	Usage: $0 [-f FILE] [-d FILE] [-i] [-c] [-m] [-k KEY]

	Turns flanneld's subnet file into options for dockerd.

	  -f FILE  subnet file to read (default /run/flannel/subnet.env)
	  -d FILE  file to write (default /run/docker_opts.env)
	  -i       only the variables DOCKER_OPT_*, one for each option
	  -c       only the variable that holds all options
	  -k KEY   name of that variable (default DOCKER_OPTS)
	  -m       leave out --ip-masq
	EOF
	exit 1
}

fail() {
	printf '%s\n' "$*" >&2
	exit 1
}

# read_variable NAME: its last value in the subnet file, without quotes and comment.
read_variable() {
	sed -n "s/^[[:blank:]]*\(export[[:blank:]]\{1,\}\)\{0,1\}$1=//p" "$subnet_file" | tail -n 1 |
		sed -e 's/[[:space:]]\{1,\}#.*$//' -e 's/[[:space:]]*$//' -e 's/^"\(.*\)"$/\1/' -e "s/^'\(.*\)'\$/\1/"
}

# check_plain NAME VALUE: what goes into the file must not be able to end the quotes there.
check_plain() {
	case $2 in
	*[!0-9A-Za-z_.:/]*) fail "Invalid value of $1: $2" ;;
	esac
}

# add NAME OPTION
add() {
	lines="${lines}DOCKER_OPT_$1=\"$2\"
"
	all="$all $2"
}

# text: the content of the output file.
text() {
	[ "$individual" = no ] || printf '%s' "$lines"
	[ "$combined" = no ] || printf '%s="%s"\n' "$key" "$all"
}

# write_file: a plain file by rename, so that dockerd never sees half of it; an existing one keeps its mode and owner. A file
# that is a mount of its own can't be renamed over and is written in place.
write_file() {
	if [ -h "$docker_file" ] || { [ -e "$docker_file" ] && [ ! -f "$docker_file" ]; }; then
		text >"$docker_file"
		return
	fi
	temporary=$docker_file.$$
	trap 'rm -f "$temporary"' EXIT
	if [ -f "$docker_file" ]; then cp -p "$docker_file" "$temporary" || return; fi
	text >"$temporary" || return
	mv -f "$temporary" "$docker_file" 2>/dev/null || text >"$docker_file"
}

# rival_route: the destination of a route by way of a gateway to the subnet that docker is to have; nothing where there is none.
rival_route() {
	first=${subnet%/*}
	octet=${first##*.}
	case $octet in
	'' | 0?* | *[!0-9]*) return ;;
	esac
	network=${first%.*}.$((octet - 1))/${subnet#*/}
	ip route show 2>/dev/null | while read -r destination rest; do
		case "$destination $rest" in
		"$network "*via*)
			printf '%s\n' "$network"
			break
			;;
		esac
	done
}

while getopts 'f:d:ick:mh' option; do
	case $option in
	f) subnet_file=$OPTARG ;;
	d) docker_file=$OPTARG ;;
	i) individual=yes ;;
	c) combined=yes ;;
	k) key=$OPTARG ;;
	m) masquerade=no ;;
	*) usage ;;
	esac
done
if [ "$individual$combined" = nono ]; then
	individual=yes
	combined=yes
fi
case $key in
'' | [0-9]* | *[!0-9A-Za-z_]*) fail "use key \"$key\": not a variable name; use letters, digits and _" ;;
esac

subnet='' mtu='' ipmasq='' lines=''
all=$(printenv "$key")
all=${all:+$all }
case $subnet_file in
/*) ;;
*) subnet_file=./$subnet_file ;;
esac
if [ -f "$subnet_file" ]; then
	subnet=$(read_variable FLANNEL_SUBNET)
	mtu=$(read_variable FLANNEL_MTU)
	ipmasq=$(read_variable FLANNEL_IPMASQ)
else
	printf 'read subnet file "%s": not there; no options are set until flanneld has written it\n' "$subnet_file" >&2
fi

check_plain FLANNEL_SUBNET "$subnet"
[ -z "$subnet" ] || add BIP "--bip=$subnet"
if [ "$masquerade" = yes ]; then
	# Of flannel and docker exactly one masquerades.
	case $ipmasq in
	true) add IPMASQ --ip-masq=false ;;
	false) add IPMASQ --ip-masq=true ;;
	'') ;;
	*) fail "Invalid value of FLANNEL_IPMASQ: $ipmasq" ;;
	esac
fi
check_plain FLANNEL_MTU "$mtu"
[ -z "$mtu" ] || add MTU "--mtu=$mtu"

write_file || fail "write docker options \"$docker_file\": failed; check the directory and its permissions"

case $subnet in
*.*.*.*/*)
	rival=$(rival_route)
	[ -z "$rival" ] || fail "Your routing table already contains the subnet: $rival; remove that route, or docker's bridge and it will be at odds"
	;;
esac
