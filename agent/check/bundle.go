package check

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// bundleSearch is how far into a program its bundle is looked for, in bytes: the signature lies in the code of the host.
	bundleSearch = 64 << 20
	// settingsLimit is the size of settings that are still read, in bytes.
	settingsLimit = 16 << 20
)

// bundleSignature stands in the host of every single file after the place of the bundle's header, which is 0 where there is none
// (dotnet/runtime, src/installer/managed/Microsoft.NET.HostModel).
func bundleSignature() []byte {
	return []byte{
		0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
		0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
	}
}

// errNoBundle says that a program is no single file of .NET.
var errNoBundle = errors.New("is no single file of .NET")

// bundled gives the runtimeconfig.json in a single file.
func bundled(file io.ReaderAt, size int64) ([]byte, error) {
	at, err := bundleHeader(io.NewSectionReader(file, 0, min(size, bundleSearch)))
	if err != nil {
		return nil, err
	}
	if at <= 0 || at >= size {
		return nil, errNoBundle
	}
	in := bufio.NewReader(io.NewSectionReader(file, at, size-at))
	var head struct {
		Major, Minor uint32
		Files        int32
	}
	if err := binary.Read(in, binary.LittleEndian, &head); err != nil {
		return nil, err
	}
	if head.Major < 2 || head.Major > 100 {
		return nil, fmt.Errorf("is a single file of a form that is not known (%d.%d)", head.Major, head.Minor)
	}
	length, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, fmt.Errorf("is a damaged single file: %w", err)
	}
	if length > 1024 {
		return nil, fmt.Errorf("is a damaged single file: a name of %d bytes", length)
	}
	if _, err := in.Discard(int(length)); err != nil {
		return nil, err
	}
	var places struct{ DepsAt, DepsSize, ConfigAt, ConfigSize int64 }
	if err := binary.Read(in, binary.LittleEndian, &places); err != nil {
		return nil, err
	}
	if places.ConfigAt <= 0 || places.ConfigSize <= 0 || places.ConfigSize > settingsLimit || places.ConfigAt > size-places.ConfigSize {
		return nil, errors.New("is a single file without a runtimeconfig.json")
	}
	content := make([]byte, places.ConfigSize)
	_, err = file.ReadAt(content, places.ConfigAt)
	return content, err
}

// bundleHeader finds the place of the header.
func bundleHeader(in io.Reader) (int64, error) {
	signature := bundleSignature()
	const place = 8
	buffer := make([]byte, 64<<10)
	kept := 0 // of the end of what was looked at: the signature may begin there
	for {
		n, err := io.ReadFull(in, buffer[kept:])
		data := buffer[:kept+n]
		if i := bytes.Index(data, signature); i >= place {
			return int64(binary.LittleEndian.Uint64(data[i-place:])), nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errNoBundle
			}
			return 0, err
		}
		kept = copy(buffer, data[len(data)-len(signature)-place:])
	}
}
