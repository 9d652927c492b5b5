//! The kernel proper out of the file that it is installed as: QEMU starts it directly (on x86 by PVH),
//! which spares the guest the decompression.

use std::io::{Cursor, Read as _};

use course::Arch;

use crate::Error;

/// Offsets in the set-up header of a bzImage (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
/// Header").
const SETUP_SECTS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// Where an arm64 Image has its magic number, and that (Documentation/arch/arm64/booting.rst).
const IMAGE_MAGIC: (usize, &[u8]) = (56, b"ARM\x64");
/// Offsets in a kernel that unpacks itself as an EFI program (drivers/firmware/efi/libstub/
/// zboot-header.S).
const ZBOOT_MAGIC: (usize, &[u8]) = (4, b"zimg");
const ZBOOT_OFFSET: usize = 8;
const ZBOOT_LENGTH: usize = 12;
/// `e_machine` (elf(5)).
const ELF_MACHINE: usize = 18;
/// More than any kernel has.
const LARGEST: u64 = 512 << 20;

/// A kernel that QEMU can start, and which processors it is for: what `image` is, or carries.
///
/// It may be an ELF file (vmlinux) or a bzImage for x86-64; for arm64 an Image, packed by gzip or not, or
/// one that unpacks itself.
///
/// # Errors
/// When it is something else, or is packed in a way that is not known.
pub fn extract(image: &[u8]) -> Result<(Vec<u8>, Arch), Error> {
    let wrong = |why: &str| {
        Error::new(
            format!("this is not a kernel that QEMU can start: {why}"),
            "",
        )
    };
    let has =
        |(at, magic): (usize, &[u8])| image.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let number = |at: usize| -> usize {
        let bytes = image
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes) as usize
    };
    let payload = |start: usize, length: usize| {
        start
            .checked_add(length)
            .and_then(|end| image.get(start..end))
            .ok_or_else(|| wrong("its payload lies outside of it"))
    };
    let (kernel, arch) = if has((0, b"\x7fELF")) || has(IMAGE_MAGIC) {
        (image.to_vec(), None)
    } else if has((MAGIC, b"HdrS")) {
        // Zero stands for four.
        let sectors = match image[SETUP_SECTS] {
            0 => 4,
            n => usize::from(n),
        };
        let start = (sectors + 1) * 512 + number(PAYLOAD_OFFSET);
        let packed = payload(start, number(PAYLOAD_LENGTH))?;
        (
            unpack(packed).map_err(|why| wrong(&why))?,
            Some(Arch::X86_64),
        )
    } else if has(ZBOOT_MAGIC) {
        let packed = payload(number(ZBOOT_OFFSET), number(ZBOOT_LENGTH))?;
        (
            unpack(packed).map_err(|why| wrong(&why))?,
            Some(Arch::Aarch64),
        )
    } else if has((0, b"\x1f\x8b")) {
        (
            unpack(image).map_err(|why| wrong(&why))?,
            Some(Arch::Aarch64),
        )
    } else {
        return Err(wrong("it has the header of none"));
    };
    let found = arch_of(&kernel).ok_or_else(|| {
        wrong("for x86-64 it can be a bzImage or a vmlinux, for arm64 an Image (arch/arm64/boot/Image)")
    })?;
    if arch.is_some_and(|arch| arch != found) {
        return Err(wrong("what it carries is for other processors than itself"));
    }
    Ok((kernel, found))
}

/// Which processors a kernel is for that QEMU can start as it is.
fn arch_of(kernel: &[u8]) -> Option<Arch> {
    const X86_64: [u8; 2] = 62_u16.to_le_bytes();
    let at = |from: usize, what: &[u8]| {
        kernel
            .get(from..)
            .is_some_and(|rest| rest.starts_with(what))
    };
    if at(0, b"\x7fELF") {
        at(ELF_MACHINE, &X86_64).then_some(Arch::X86_64)
    } else {
        at(IMAGE_MAGIC.0, IMAGE_MAGIC.1).then_some(Arch::Aarch64)
    }
}

/// The release of a kernel, from the banner that it carries (`linux_banner`, init/version.c).
pub fn release(kernel: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    kernel
        .windows(BANNER.len() + 1)
        .enumerate()
        .filter(|(_, window)| window.starts_with(BANNER) && window[BANNER.len()].is_ascii_digit())
        .find_map(|(at, _)| {
            let rest = &kernel[at + BANNER.len()..];
            let end = rest.iter().take(128).position(|&byte| byte == b' ')?;
            String::from_utf8(rest[..end].to_vec()).ok()
        })
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ruzstd::decoding::StreamingDecoder::new(payload)
                .map_err(|error| error.to_string())?
                .take(LARGEST)
                .read_to_end(&mut out)
                .map_err(|error| error.to_string())?;
        }
        [0x02, 0x21, 0x4c, 0x18, blocks @ ..] => out = lz4_legacy(blocks)?,
        [0x1f, 0x8b, ..] => {
            flate2::read::GzDecoder::new(payload)
                .take(LARGEST)
                .read_to_end(&mut out)
                .map_err(|error| error.to_string())?;
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            lzma_rs::xz_decompress(&mut Cursor::new(payload), &mut out)
                .map_err(|error| format!("{error:?}"))?;
        }
        _ => return Err("its payload is packed in an unknown way".to_owned()),
    }
    Ok(out)
}

/// The frame format that `lz4 -l` writes: blocks of at most 8 MiB, each after its packed size.
/// The kernel's build adds four bytes with the whole size at the end (scripts/Makefile.lib).
fn lz4_legacy(mut blocks: &[u8]) -> Result<Vec<u8>, String> {
    const BLOCK: usize = 8 << 20;
    let mut out = Vec::new();
    while let Some((size, rest)) = blocks.split_first_chunk::<4>() {
        if rest.is_empty() {
            break;
        }
        let size = u32::from_le_bytes(*size) as usize;
        let packed = rest.get(..size).ok_or("a block lies outside of it")?;
        let begin = out.len();
        out.resize(begin + BLOCK, 0);
        let length = lz4_flex::block::decompress_into(packed, &mut out[begin..])
            .map_err(|error| error.to_string())?;
        out.truncate(begin + length);
        if out.len() as u64 > LARGEST {
            return Err("it is larger than any kernel".to_owned());
        }
        blocks = &rest[size..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_kernel_is_refused_whatever_it_is() {
        let mut header = vec![0; 0x300];
        header[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        let mut outside = header.clone();
        outside[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&[0xff; 4]);
        let mut zboot = vec![0; 64];
        zboot[4..8].copy_from_slice(b"zimg");
        let packed = gzip(b"no kernel at all");
        for (image, why) in [
            (vec![], "header of none"),
            (vec![0; 0x300], "header of none"),
            (header, "outside"),
            (outside, "outside"),
            (zboot, "unknown way"),
            (packed, "an Image"),
            (vec![0x1f, 0x8b], "not a kernel"),
            (b"\x7fELF".to_vec(), "an Image"),
        ] {
            let error = extract(&image).expect_err(why);
            assert!(error.message.contains(why), "{error}");
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, bytes).expect("written");
        packer.finish().expect("packed")
    }

    #[test]
    fn an_image_for_arm64_is_known_however_it_is_packed() {
        let mut plain = vec![0; 64];
        plain[56..60].copy_from_slice(b"ARM\x64");
        let packed = gzip(&plain);
        let mut zboot = vec![0; 64];
        zboot[4..8].copy_from_slice(b"zimg");
        zboot[8..12].copy_from_slice(&64_u32.to_le_bytes());
        zboot[12..16].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        zboot.extend(&packed);
        for image in [&plain, &packed, &zboot] {
            let (kernel, arch) = extract(image).expect("a kernel");
            assert_eq!((kernel.as_slice(), arch), (plain.as_slice(), Arch::Aarch64));
        }
    }

    #[test]
    fn the_release_is_that_of_the_banner() {
        let kernel = b"\0Linux version %s (%s)\0Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP\0";
        assert_eq!(release(kernel).as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(release(b"Linux version 6.1"), None);
    }

    #[test]
    fn blocks_of_lz4_are_put_together() {
        let text = b"one block and another".repeat(100);
        let mut blocks = Vec::new();
        for part in text.chunks(1000) {
            let packed = lz4_flex::block::compress(part);
            blocks.extend((packed.len() as u32).to_le_bytes());
            blocks.extend(packed);
        }
        blocks.extend((text.len() as u32).to_le_bytes());
        assert_eq!(lz4_legacy(&blocks).expect("unpacked"), text);
        blocks[2] = 0xff;
        lz4_legacy(&blocks).expect_err("a block that lies outside");
    }
}
